"""What MicroPython runs first after every reset, also before the raw prompt, where `main.py` is left out."""

import watchdog

watchdog.feed_at_the_prompt()
