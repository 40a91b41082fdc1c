"""Publishing methods for transactional messages.

The App API's fields are keyword arguments, so that an editor completes them and a misspelt one is refused. Customer.io
documents them: https://docs.customer.io/integrations/api/app/#tag/Transactional.
"""

from collections.abc import Mapping
from typing import Any

from ..jobs import CHANNELS, Channel, InvalidJob
from .base import JobPublisher
from .job_future import JobFuture
from .options import JobOptions, When


class SendMethods(JobPublisher):
    """Send transactional messages. ``identifiers`` holds the person's ``id``, ``email`` or ``cio_id``."""

    def send_email(
        self,
        *,
        to: str,
        identifiers: Mapping[str, Any],
        transactional_message_id: int | str | None = None,
        from_: str | None = None,
        subject: str | None = None,
        body: str | None = None,
        body_plain: str | None = None,
        body_amp: str | None = None,
        preheader: str | None = None,
        reply_to: str | None = None,
        cc: str | None = None,
        bcc: str | None = None,
        fake_bcc: bool | None = None,
        headers: Mapping[str, str] | None = None,
        attachments: Mapping[str, str] | None = None,
        disable_css_preprocessing: bool | None = None,
        tracked: bool | None = None,
        message_data: Mapping[str, Any] | None = None,
        send_at: When | None = None,
        language: str | None = None,
        disable_message_retention: bool | None = None,
        queue_draft: bool | None = None,
        send_to_unsubscribed: bool | None = None,
        options: JobOptions | None = None,
    ) -> JobFuture:
        """Send an email.

        ``to`` holds addresses separated by commas. Without ``transactional_message_id`` an email needs ``body``,
        ``subject`` and ``from_``. ``attachments`` are base64 by file name, less than 2 MB together.
        """
        return self._send(
            "email",
            options,
            to=to,
            identifiers=identifiers,
            transactional_message_id=transactional_message_id,
            from_=from_,
            subject=subject,
            body=body,
            body_plain=body_plain,
            body_amp=body_amp,
            preheader=preheader,
            reply_to=reply_to,
            cc=cc,
            bcc=bcc,
            fake_bcc=fake_bcc,
            headers=headers,
            attachments=attachments,
            disable_css_preprocessing=disable_css_preprocessing,
            tracked=tracked,
            message_data=message_data,
            send_at=send_at,
            language=language,
            disable_message_retention=disable_message_retention,
            queue_draft=queue_draft,
            send_to_unsubscribed=send_to_unsubscribed,
        )

    def send_push(
        self,
        *,
        identifiers: Mapping[str, Any],
        transactional_message_id: int | str,
        to: str | None = None,
        title: str | None = None,
        message: str | None = None,
        image_url: str | None = None,
        link: str | None = None,
        sound: str | None = None,
        custom_data: Mapping[str, str] | None = None,
        custom_device: Mapping[str, Any] | None = None,
        custom_payload: Mapping[str, Any] | None = None,
        message_data: Mapping[str, Any] | None = None,
        send_at: When | None = None,
        language: str | None = None,
        disable_message_retention: bool | None = None,
        queue_draft: bool | None = None,
        send_to_unsubscribed: bool | None = None,
        options: JobOptions | None = None,
    ) -> JobFuture:
        """Send a push notification. ``to`` is ``all`` (default), ``last_used`` or a device's token."""
        return self._send(
            "push",
            options,
            identifiers=identifiers,
            transactional_message_id=transactional_message_id,
            to=to,
            title=title,
            message=message,
            image_url=image_url,
            link=link,
            sound=sound,
            custom_data=custom_data,
            custom_device=custom_device,
            custom_payload=custom_payload,
            message_data=message_data,
            send_at=send_at,
            language=language,
            disable_message_retention=disable_message_retention,
            queue_draft=queue_draft,
            send_to_unsubscribed=send_to_unsubscribed,
        )

    def send_sms(
        self,
        *,
        identifiers: Mapping[str, Any],
        transactional_message_id: int | str,
        to: str | None = None,
        from_: str | None = None,
        message_data: Mapping[str, Any] | None = None,
        send_at: When | None = None,
        language: str | None = None,
        disable_message_retention: bool | None = None,
        queue_draft: bool | None = None,
        send_to_unsubscribed: bool | None = None,
        options: JobOptions | None = None,
    ) -> JobFuture:
        """Send a text message. ``to`` is a phone number in E.164, the person's own if absent."""
        return self._send(
            "sms",
            options,
            identifiers=identifiers,
            transactional_message_id=transactional_message_id,
            to=to,
            from_=from_,
            message_data=message_data,
            send_at=send_at,
            language=language,
            disable_message_retention=disable_message_retention,
            queue_draft=queue_draft,
            send_to_unsubscribed=send_to_unsubscribed,
        )

    def send_whatsapp(
        self,
        *,
        identifiers: Mapping[str, Any],
        transactional_message_id: int | str,
        to: str | None = None,
        from_: str | None = None,
        tracked: bool | None = None,
        message_data: Mapping[str, Any] | None = None,
        send_at: When | None = None,
        language: str | None = None,
        disable_message_retention: bool | None = None,
        queue_draft: bool | None = None,
        send_to_unsubscribed: bool | None = None,
        options: JobOptions | None = None,
    ) -> JobFuture:
        """Send a WhatsApp message. ``to`` is a phone number in E.164, the person's own if absent."""
        return self._send(
            "whatsapp",
            options,
            identifiers=identifiers,
            transactional_message_id=transactional_message_id,
            to=to,
            from_=from_,
            tracked=tracked,
            message_data=message_data,
            send_at=send_at,
            language=language,
            disable_message_retention=disable_message_retention,
            queue_draft=queue_draft,
            send_to_unsubscribed=send_to_unsubscribed,
        )

    def send_inbox_message(
        self,
        *,
        identifiers: Mapping[str, Any],
        transactional_message_id: int | str,
        message_data: Mapping[str, Any] | None = None,
        send_at: When | None = None,
        language: str | None = None,
        disable_message_retention: bool | None = None,
        queue_draft: bool | None = None,
        options: JobOptions | None = None,
    ) -> JobFuture:
        """Send a message to the notification inbox of a web page."""
        return self._send(
            "inbox_message",
            options,
            identifiers=identifiers,
            transactional_message_id=transactional_message_id,
            message_data=message_data,
            send_at=send_at,
            language=language,
            disable_message_retention=disable_message_retention,
            queue_draft=queue_draft,
        )

    def send_in_app(
        self,
        *,
        identifiers: Mapping[str, Any],
        transactional_message_id: int | str,
        message_data: Mapping[str, Any] | None = None,
        send_at: When | None = None,
        language: str | None = None,
        disable_message_retention: bool | None = None,
        queue_draft: bool | None = None,
        options: JobOptions | None = None,
    ) -> JobFuture:
        """Send an in-app message."""
        return self._send(
            "in_app",
            options,
            identifiers=identifiers,
            transactional_message_id=transactional_message_id,
            message_data=message_data,
            send_at=send_at,
            language=language,
            disable_message_retention=disable_message_retention,
            queue_draft=queue_draft,
        )

    def send(self, channel: Channel, body: Mapping[str, Any], *, options: JobOptions | None = None) -> JobFuture:
        """Publish the App API's own body, for a field that this release does not name yet.

        Args:
            channel: ``email``, ``push``, ``sms``, ``whatsapp``, ``inbox_message`` or ``in_app``.
            body: Fields by the App API's own names. Unknown ones reach Customer.io as they are.
            options: The job's options.
        """
        if not channel:
            raise InvalidJob("channel", f"must be one of {', '.join(CHANNELS)}")
        return self._publish("send", body, options, channel=channel)

    def _send(self, channel: Channel, options: JobOptions | None, **fields: Any) -> JobFuture:
        # `from` is a Python keyword.
        given = {"from" if name == "from_" else name: value for name, value in fields.items()}
        return self.send(channel, {name: value for name, value in given.items() if value is not None}, options=options)
