"""The AMQP channel: declarations come in through exchange `gateway.in`, receipts go out through
`gateway.receipts`."""
