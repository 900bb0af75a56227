"""What the hub is told to do: the settings model, and reading it from files and the environment."""

from hub.settings.load import LoadedSettings, default_settings_path, load_settings, user_settings_path
from hub.settings.model import Settings
from hub.settings.problems import Problem, SettingsError

__all__ = [
    "LoadedSettings",
    "Problem",
    "Settings",
    "SettingsError",
    "default_settings_path",
    "load_settings",
    "user_settings_path",
]
