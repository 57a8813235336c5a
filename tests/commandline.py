"""Running a verb as the command line does, for all tests that look at what it prints."""

from tenfold.cli import main


def run(capsys, *arguments) -> tuple[int, str, str]:
    """Exit code, standard output and error of one command; tyro leaves by SystemExit."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stopped:
        code = stopped.code
    out, err = capsys.readouterr()
    return code, out, err
