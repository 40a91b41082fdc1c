"""sync: the application's own users, brought to Customer.io as they are, the newest record of each."""

from datetime import UTC, datetime

import msgspec

from ..attributes import JobAttributes
from ..customerio.errors import CredentialsUnavailableError
from ..jobs import parse
from ..ledger import LedgerError, open_ledger
from ..lifetime import Lifetime
from ..outcome import Outcome
from ..pubsub.message import PushMessage
from ..pubsub.push import PushEndpoint
from ..secrets import SecretUnavailableError, open_secret
from ..settings import Settings
from .outcomes import ledger_unavailable, outcome_of
from .track_wiring import Workspace, track_api, workspace
from .user_operations import wanted_state
from .user_sync import UserJob, UserSync
from .wiring import push_endpoint


class Sync:
    """Settles sync jobs. ``workspace`` names the workspace; another one has records of its own."""

    def __init__(self, users: UserSync, workspace: Workspace) -> None:
        self._users = users
        self._workspace = workspace

    async def __call__(self, message: PushMessage) -> Outcome:
        attributes = JobAttributes.decode(message.attributes)
        user = parse("sync", message.data, attributes)
        wanted = wanted_state(user, message)
        if expired := attributes.expired(datetime.now(UTC)):
            return msgspec.structs.replace(expired, subject=user.subject)
        try:
            key = f"{await self._workspace()}\0{user.subject}"
            return await self._users.settle(UserJob(user, wanted, key, message, attributes))
        except SecretUnavailableError as error:
            unavailable = CredentialsUnavailableError(str(error))
            return outcome_of(unavailable, subject=user.subject, data=message.data)
        except LedgerError as error:
            return ledger_unavailable(error, user.subject)


def endpoint(settings: Settings) -> PushEndpoint:
    """The function as its settings describe it."""
    lifetime = Lifetime()
    users = UserSync(track_api(settings, lifetime), open_ledger(settings.ledger))
    name = workspace(settings.customerio.track_url, open_secret(settings.secrets["site-id"]))
    return push_endpoint(Sync(users, name), settings, lifetime)
