"""Files as they come: packed or plain, read in pieces or mapped into memory."""
