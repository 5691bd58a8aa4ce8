"""What has been revoked, for other services that verify access tokens by themselves."""
