"""The AMQP channel: declarations in over exchange `gateway.in`, receipts out over `gateway.receipts`."""
