"""Spans of time in µs, in which every instant and span of ours is counted unless its name says seconds."""

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
