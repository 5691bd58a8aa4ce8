"""Budgets of rate limits in Redis or what speaks its protocol (Valkey): one script, by Redis's clock.

Losing them all lifts the limits for a moment and does no other harm, so nothing here asks for durability.
"""

from __future__ import annotations

from collections.abc import Sequence

from watchword.errors import SettingsError, Unavailable
from watchword.rates import Rate

try:
    from redis.asyncio import Redis
    from redis.exceptions import RedisError
except ImportError as error:
    raise SettingsError("redis_url needs its driver: pip install 'watchword[redis]'.") from error

PREFIX = "watchword:limit:"
PATIENCE = 2.0
"""Seconds that Redis has for its answer: a sign-in waits for it."""

# core.throttle.take for several keys: judge them all, then spend of each or of none. Numbers are written with %.0f, as
# Lua would shorten them to 14 digits. A key outlives its instant by nothing, as no key says the same.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local after, wait = {}, 0
for i, key in ipairs(KEYS) do
  local step, room = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local tat = tonumber(redis.call('GET', key) or '0')
  after[i] = math.min(math.max(tat, now), now + room) + step
  wait = math.max(wait, after[i] - now - room)
end
if wait > 0 then return string.format('%.0f', wait) end
for i, key in ipairs(KEYS) do
  local lasts = math.ceil((after[i] - now) / 1000)
  redis.call('SET', key, string.format('%.0f', after[i]), 'PX', string.format('%.0f', lasts))
end
return '0'
"""


class RedisLimiter:
    """Implements `ports.Limiter` on the Redis at `url`, which is not asked before the first take."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)
        self._take = self._redis.register_script(_TAKE)

    def __repr__(self) -> str:
        return "RedisLimiter()"  # the URL may hold a password

    async def take(self, asked: Sequence[tuple[str, Rate]], *, now: int) -> int | None:
        keys = [PREFIX + key for key, _ in asked]
        numbers = [number for _, rate in asked for number in (rate.step, rate.room)]
        try:
            wait = int(await self._take(keys=keys, args=numbers))
        except (RedisError, OSError) as error:
            raise Unavailable(retry_after=1) from error
        return wait or None

    async def close(self) -> None:
        """Let go of the connections. Another take makes new ones."""
        await self._redis.aclose()
