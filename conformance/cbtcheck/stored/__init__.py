"""What is stored in an image: its bitmaps, whether they can be trusted, and what that means for the next backup."""
