"""A desktop that shows notifications: prints each as a line of JSON. Run by the system's Python."""

import json
import sys

import dbus
import dbus.service
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib

NAME = "org.freedesktop.Notifications"


def say(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Desktop(dbus.service.Object):
    @dbus.service.method(NAME, in_signature="susssasa{sv}i", out_signature="u")
    def Notify(self, app, replaces, icon, summary, body, actions, hints, timeout):  # noqa: N802, PLR0917 - as the bus has it
        say(json.dumps({"app": app, "summary": summary, "body": body}))
        return 1


DBusGMainLoop(set_as_default=True)
bus = dbus.SessionBus()
name = dbus.service.BusName(NAME, bus)
desktop = Desktop(bus, "/org/freedesktop/Notifications")
say("ready")
GLib.MainLoop().run()
