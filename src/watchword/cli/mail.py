"""`watchword mail`: whether the configured server takes our mail, found out before somebody waits for a code."""

from __future__ import annotations

import click

from watchword.cli.console import Refused
from watchword.cli.opened import keyed
from watchword.settings import Settings


@click.group()
def mail() -> None:
    """Whether mail can be sent."""


@mail.command()
@click.argument("address")
def test(address: str) -> None:
    """Send one message now and say what came of it. Needs no database."""
    import asyncio
    from dataclasses import replace

    from watchword.auth import Watchword
    from watchword.core.user import canonical_email
    from watchword.drivers.mailer import SmtpMailer
    from watchword.flows.outbox import opened, sealed

    settings = Settings.from_env()
    if not settings.smtp_url:
        raise Refused("WATCHWORD_SMTP_URL is not set, so there is no server to send by")
    to = canonical_email(address, field="address")

    async def send() -> str:
        auth = Watchword(replace(keyed(settings), database_url="memory:"))
        mailer = SmtpMailer(settings)
        try:
            await mailer.send(opened(auth.world, sealed(auth.world, "test", to, {})))
        finally:
            await mailer.rest()
            await auth.aclose()
        return mailer.address

    click.echo(f"{asyncio.run(send())} took a message for {to} from {settings.sender}")
