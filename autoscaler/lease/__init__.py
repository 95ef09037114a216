"""Where a lease is kept: nowhere, in a database, in DynamoDB, in a file."""
