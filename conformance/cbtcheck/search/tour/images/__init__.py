"""The tour of images: every event and every command in every state of a small disk that lies in an image."""
