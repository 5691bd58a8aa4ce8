"""The browser client, as files below the prefix: pages import it from the server whose login it speaks to."""
