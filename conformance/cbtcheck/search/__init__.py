"""Where scenarios come from: drawn, toured, put together in families, and made shorter."""
