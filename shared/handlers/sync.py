"""sync: the application's own users, brought to Customer.io as they are, the newest record of each."""

from datetime import UTC, datetime

import msgspec

from ..attributes import JobAttributes
from ..customerio.errors import CredentialsUnavailableError
from ..jobs import UserForgotten, parse
from ..ledger import LedgerError, open_ledger
from ..lifetime import Lifetime
from ..outcome import Outcome
from ..pubsub.message import PushMessage
from ..pubsub.push import PushEndpoint
from ..secrets import SecretUnavailableError, open_secret
from ..settings import Settings
from .forgetting import Forgetting
from .outcomes import ledger_unavailable, outcome_of
from .track_wiring import Workspace, track_api, workspace
from .user_operations import wanted_state
from .user_sync import UserJob, UserSync
from .wiring import push_endpoint


class Sync:
    """Settles sync jobs. ``workspace`` names the workspace; another one has records of its own."""

    def __init__(self, users: UserSync, workspace: Workspace, forgetting: Forgetting) -> None:
        self._users, self._workspace, self._forgetting = users, workspace, forgetting

    async def __call__(self, message: PushMessage) -> Outcome:
        attributes = JobAttributes.decode(message.attributes)
        user = parse("sync", message.data, attributes)
        try:
            key = f"{await self._workspace()}\0{user.subject}"
            if isinstance(user, UserForgotten):
                return await self._forgetting.forget(user, key, message, attributes)
            wanted = wanted_state(user, message)
            if expired := attributes.expired(datetime.now(UTC)):
                return msgspec.structs.replace(expired, subject=user.subject)
            if late := await self._forgetting.restore(user, message):
                return late
            return await self._users.settle(UserJob(user, wanted, key, message, attributes))
        except SecretUnavailableError as error:
            return outcome_of(CredentialsUnavailableError(str(error)), subject=user.subject, data=message.data)
        except LedgerError as error:
            return ledger_unavailable(error, user.subject)


def endpoint(settings: Settings) -> PushEndpoint:
    """The function as its settings describe it."""
    lifetime = Lifetime()
    track = track_api(settings, lifetime)
    ledger = open_ledger(settings.ledger)
    users, forgetting = UserSync(track, ledger), Forgetting(track, ledger, settings.project)
    name = workspace(settings.customerio.track_url, open_secret(settings.secrets["site-id"]))
    return push_endpoint(Sync(users, name, forgetting), settings, lifetime)
