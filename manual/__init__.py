"""The manual: pages for `man` and for the web, made from the help of the commands."""
