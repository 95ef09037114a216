"""The guard: a sidecar in a worker's ECS task that keeps the task protected while the worker holds work.

For brokers without remote control (SQS) it is the whole protection.  With Redis or RabbitMQ it adds two
things: the worker is protected before it consumes, and a stopped intake is a lease that ends by itself.
"""
