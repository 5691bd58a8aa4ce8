"""Mail over SMTP: the way to a server, verified, and a letter as bytes. When to send what is flows/outbox.

Passwords and codes go over TLS that was verified, or nowhere: `smtps://` from the first byte on, `smtp://` upgraded
before anything is said that matters, and refused where that is not offered, since whoever is on the way can take the
offer out. Only a server on this machine is spoken to in the clear. An own authority is named to OpenSSL, by
SSL_CERT_FILE.
Sources: RFC 5321, 3207 (STARTTLS), 8314 (smtps), 6531 (SMTPUTF8), 3834 §5 (Auto-Submitted), 5322; ASVS 5.0 1.3.11,
12.3.1, 12.3.2, 13.1.3.
"""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from urllib.parse import urlsplit

import aiosmtplib
from email_validator import EmailNotValidError, validate_email

from watchword.core.mail import Letter, noted
from watchword.errors import MailDelayed, MailError, MailRefused, MailUnreachable
from watchword.settings import LOOPBACK, Settings
from watchword.texts import SmtpServer, smtp_server

STAGE_SECONDS = 10.0
"""For each answer of the server."""
WHOLE_SECONDS = 30.0
"""For one message with all that it needs."""
PER_CONNECTION = 50
"""Messages; servers hang up on those who stay."""
_PERMANENT = 500
_CLOSING = 421


class SmtpMailer:
    """Implements `ports.Mailer` on the server of `smtp_url`, with one connection that lasts until `rest`."""

    def __init__(
        self,
        settings: Settings,
        *,
        stage_seconds: float = STAGE_SECONDS,
        whole_seconds: float = WHOLE_SECONDS,
    ) -> None:
        self._server = smtp_server(settings.smtp_url)
        name, _, address = settings.sender.rpartition("<")
        local, _, host = address.rstrip(">").rpartition("@")
        self._from = Address(display_name=name.strip(), username=local, domain=host)
        self._host = urlsplit(settings.url).hostname or "localhost"
        self._stage_seconds, self._whole_seconds = stage_seconds, whole_seconds
        self._tls: ssl.SSLContext | None = None
        self._client: aiosmtplib.SMTP | None = None
        self._sent = 0

    def __repr__(self) -> str:
        return f"SmtpMailer({self.address!r})"  # the URL has a password in it

    @property
    def address(self) -> str:
        """What of the server may be shown."""
        return f"{self._server.host}:{self._server.port}"

    async def send(self, letter: Letter) -> None:
        recipient, ascii_only = _recipient(letter.to)
        message = self._message(letter, recipient, utf8=not ascii_only)
        try:
            async with asyncio.timeout(self._whole_seconds):
                client = await self._connected()
                await self._hand_over(client, message, recipient, utf8=not ascii_only)
        except TimeoutError:
            self._drop()
            raise MailUnreachable(f"{self.address} takes too long") from None
        except MailError:
            raise
        except BaseException:
            self._drop()  # where the conversation stopped is anybody's guess
            raise

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    async def rest(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            try:
                async with asyncio.timeout(1):
                    await client.quit()
            except (aiosmtplib.SMTPException, OSError):
                pass  # politeness; it will find out
            finally:
                client.close()

    async def _connected(self) -> aiosmtplib.SMTP:
        if self._client is not None and (not self._client.is_connected or self._sent >= PER_CONNECTION):
            await self.rest()
        if self._client is None:
            self._client, self._sent = await self._connect(), 0
        return self._client

    async def _connect(self) -> aiosmtplib.SMTP:
        server = self._server
        if self._tls is None:  # reading all the authorities takes a while
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username,
            password=server.password,
            local_hostname=_greeting(self._host),  # else a look-up of our own name, which may take long
            timeout=self._stage_seconds,
            use_tls=server.tls,
            start_tls=not server.tls and server.host not in LOOPBACK,
            tls_context=self._tls,
        )
        try:
            await client.connect()
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            client.close()
            raise _unreachable(server, self.address, error) from error
        except BaseException:
            client.close()
            raise
        return client

    async def _hand_over(
        self, client: aiosmtplib.SMTP, message: EmailMessage, recipient: str, *, utf8: bool
    ) -> None:
        options = ["SMTPUTF8", "BODY=8BITMIME"] if utf8 else []
        try:
            await client.sendmail(self._from.addr_spec, [recipient], message.as_bytes(), mail_options=options)
            self._sent += 1
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise self._refused(error.recipients[0], "the recipient") from error
        except aiosmtplib.SMTPSenderRefused as error:
            raise self._refused(error, f"the sender {self._from.addr_spec}, which mail_from sets") from error
        except aiosmtplib.SMTPResponseException as error:
            raise self._refused(error, "the message") from error
        except aiosmtplib.SMTPNotSupported as error:
            raise MailRefused(f"{self.address} takes only addresses in ASCII") from error
        except (aiosmtplib.SMTPException, OSError) as error:
            self._drop()
            raise MailUnreachable(f"{self.address} hung up or fell silent", noted(str(error))) from error

    def _refused(self, error: aiosmtplib.SMTPResponseException, what: str) -> MailError:
        """Of all mail or of none is the sender refused: that is for an operator to mend, and no reason to lose any."""
        said = noted(error.message)
        if error.code == _CLOSING:
            self._drop()
            return MailUnreachable(f"{self.address} is closing down or has enough of us ({error.code})", said)
        if error.code < _PERMANENT:
            return MailDelayed(f"{self.address} does not take {what} for now ({error.code})", said)
        kind = MailDelayed if isinstance(error, aiosmtplib.SMTPSenderRefused) else MailRefused
        return kind(f"{self.address} refuses {what} ({error.code})", said)

    def _message(self, letter: Letter, recipient: str, *, utf8: bool) -> EmailMessage:
        """Text first, so that a reader who shows one part alone shows that one. Headers cannot be injected: whatever
        has a line break in it is refused by the policy."""
        policy = SMTPUTF8 if utf8 else SMTP
        message = EmailMessage(policy)
        local, _, host = recipient.rpartition("@")
        try:
            message["From"] = self._from
            message["To"] = Address(username=local, domain=host)
            message["Subject"] = letter.subject
        except ValueError as error:
            raise MailRefused("a header of it would have a line break in it") from error
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = f"<{letter.id}@{self._host.strip('[]').replace(':', '.')}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.text, cte=_encoding(letter.text))
        message.add_alternative(letter.html, subtype="html", cte=_encoding(letter.html))
        return message


def _encoding(text: str) -> str:
    """The plainer of two that every server and every reader takes; a line of SMTP has 998 characters at most."""
    short = all(len(line) <= 900 for line in text.splitlines())
    return "7bit" if text.isascii() and short else "quoted-printable"


def _recipient(address: str) -> tuple[str, bool]:
    """What to say to the server, and whether that is ASCII: a domain always can be, what is before the @ cannot.

    Stored addresses were judged before; here is where another one would do harm (SECURITY-TARGET attacks 69, 99).
    """
    try:
        found = validate_email(address, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise MailRefused("its recipient has no valid address") from None
    if found.ascii_email is not None:
        return found.ascii_email, True
    return f"{found.local_part}@{found.ascii_domain}", False


def _greeting(host: str) -> str:
    """What to call ourselves: a name, or an address in brackets (RFC 5321 §4.1.4)."""
    if ":" in host:
        return f"[IPv6:{host.strip('[]')}]"
    return f"[{host}]" if host.replace(".", "").isdigit() else host


def _unreachable(server: SmtpServer, address: str, error: Exception) -> MailUnreachable:
    """Why there is no connection, in words that say what to mend."""
    said = noted(str(error))
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return MailUnreachable(f"{address} refuses the user or the password of smtp_url ({error.code})", said)
    causes = _causes(error)
    if found := next((each for each in causes if isinstance(each, ssl.SSLCertVerificationError)), None):
        return MailUnreachable(
            f"the certificate of {address} is not one to trust", noted(found.verify_message)
        )
    if any(isinstance(each, ssl.SSLError) for each in causes):
        way = "smtp:// with STARTTLS" if server.tls else "smtps://"
        return MailUnreachable(f"no TLS could be agreed with {address}; does it want {way}?", said)
    if "STARTTLS" in said:
        return MailUnreachable(f"{address} does not offer STARTTLS, and nothing is sent without", said)
    if isinstance(error, TimeoutError):
        return MailUnreachable(f"{address} does not answer", said)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return MailUnreachable(f"{address} turns us away ({error.code})", said)
    return MailUnreachable(f"{address} cannot be reached", said)


def _causes(error: BaseException | None) -> list[BaseException]:
    return [] if error is None else [error, *_causes(error.__cause__ or error.__context__)]
