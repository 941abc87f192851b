"""What Visdom's process and the board agree on. Visdom's process imports this module: it has to stay cheap."""

BASE_PATH = "/visdom"  # Visdom's pages, files and websocket live under this path, here and under the board's address
WINDOWS_PATH = "/windows"  # below it: the names of all windows, told by Visdom's process and by no other Visdom
KEY_HEADER = "X-Lossboard-Key"  # every request to Visdom's process carries the key in it

EXIT_PORT_TAKEN = 3
EXIT_NO_ASSETS = 4
