"""The recorded answers of POSTs, kept in the transaction of the change they answer."""
