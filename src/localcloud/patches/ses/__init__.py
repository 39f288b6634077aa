"""SES: identities that somebody has verified, and mail that arrives in the inbox."""
