"""A headset and its controllers through the browser: WebXR page, its device, the mapping from hand to robot."""
