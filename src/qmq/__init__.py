"""q: many named FIFO queues behind gRPC and REST, durable before it answers."""
