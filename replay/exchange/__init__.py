"""The loopback exchange: a venue in the box that speaks Binance's protocol on 127.0.0.1."""
