"""Images that are never unpacked: tar, zip, WebDataset shards, parquet, Arrow, and object stores."""
