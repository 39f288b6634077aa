"""SNS: subscriptions that wait for a click, filters, and delivery by what the other side permits."""
