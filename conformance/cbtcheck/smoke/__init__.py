"""A few scripted exchanges with an adapter: is it the adapter that is wrong, or the implementation?"""
