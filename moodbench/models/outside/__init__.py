"""Networks that are neither timm's nor open_clip's: of transformers, torchvision, a file of Python, an export."""
