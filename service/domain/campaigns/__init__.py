"""What an appeal says and offers, and on whose pages."""
