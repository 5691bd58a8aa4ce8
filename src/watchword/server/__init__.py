"""The standalone app that `watchword serve` and `watchword dev` run. Puts routes together; decides nothing."""
