from tui import config


def test_without_a_file_the_defaults(tmp_path):
    assert config.load(tmp_path / "config.yaml") == config.Config()


def test_what_the_user_set(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("theme: paper\nkeys: {run.stop: X}\nnotify: bell\n")
    found = config.load(file)
    assert (found.theme, found.keys, found.notify, found.problems) == ("paper", {"run.stop": "X"}, "bell", ())


def test_mistakes_are_said_and_not_fatal(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("them: paper\nkeys: {run.stpo: X}\n")
    found = config.load(file)
    assert found.keys == {}
    assert [p for p in found.problems if "unknown setting 'them'" in p]
    assert [p for p in found.problems if "'run.stpo'" in p]
    for broken in ("[1", "just words", "keys: 3"):
        file.write_text(broken)
        assert config.load(file).problems


def test_notify_is_a_word_or_yes_and_no(tmp_path):
    file = tmp_path / "config.yaml"
    for said, meant in (("true", "auto"), ("false", "off"), ("off", "off"), ("auto", "auto")):
        file.write_text(f"notify: {said}\n")
        assert config.load(file) == config.Config(notify=meant)
    file.write_text("notify: no way\n")
    found = config.load(file)
    assert found.notify == "auto"
    assert found.problems == ("config.yaml: notify is one of auto, bell, off, not 'no way'",)


def test_what_is_remembered(tmp_path):
    file = tmp_path / "deep" / "state.json"
    assert config.recall(file) == {}
    config.remember({"preset": "sap"}, file)
    assert config.recall(file) == {"preset": "sap"}
    file.write_text("not json")
    assert config.recall(file) == {}
