"""What a file that is not UTF-8 may be written in: shown by how its first word reads, and never as if it were known."""

from pathlib import Path

import pytest

from bpcli.parts.data.csv.encodings import readings, unmarked_unicode
from bpcli.parts.data.csv.source import Csv
from bpcli.records.training import Failure

FIRST = [
    ("latin-1", "Höhe Köln"), ("latin-1", "São Málaga"), ("cp1252", "façade–x Zürich"), ("cp1250", "Łódź Kraków"),
    ("latin-1", "größe £618,15 -£2"), ("latin-1", "£5"), ("latin-1", "°C"), ("latin-1", "(m³)"),
    ("cp1250", "miał Łódź"), ("cp1251", "Москва Казань"), ("cp1251", "да нет"),
    ("koi8-r", "Москва нет"), ("cp866", "Москва Казань"),
    ("cp1253", "Αθήνα Θεσσαλονίκη"), ("cp1255", "ירושלים חיפה"), ("cp1256", "القاهرة الرياض"),
    ("cp874", "กรุงเทพ เชียงใหม่"), ("shift_jis", "東京 さいたま"), ("gbk", "北京 上海 广州"), ("big5", "台北 高雄"),
]  # fmt: skip
AMONG = [("latin-1", "Ö1 ü2"), ("cp1254", "Eskişehir Muğla"), ("euc_kr", "서울 부산"), ("euc_jp", "東京")]


def lines(encoding: str, words: str) -> list[bytes]:
    return [f"{i},{word},1\n".encode(encoding) for i, word in enumerate(words.split())]


@pytest.mark.parametrize(("encoding", "words"), [*FIRST, *AMONG])
def test_words_are_read_as_words(encoding: str, words: str) -> None:
    found = readings(lines(encoding, words))
    assert (encoding, words.split()[0]) in (found[:1] if (encoding, words) in FIRST else found)
    assert len(found) <= 3
    assert len({word for _, word in found}) == len(found)


def test_a_sign_of_money_is_no_letter_beside_digits() -> None:
    """What reads £618 in the west is Ł618 farther east, where größe is größe too."""
    lines = ["größe,price", "1,£618.15", "2,-£27.00", "3,£1.20"]
    assert readings([line.encode("cp1252") for line in lines]) == [("latin-1", "größe")]
    polish = ["miasto,łączna", "1,Łódź", "2,Żory", "3,Ełk"]
    assert readings([line.encode("cp1250") for line in polish])[0] == ("cp1250", "łączna")


def test_bytes_that_are_no_words_have_no_encoding() -> None:
    assert readings([bytes(range(128, 256))]) == []


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("word", ["Köln", "Уфа"])
def test_unicode_without_a_mark(encoding: str, word: str) -> None:
    assert unmarked_unicode(f"a,city,y\n1,{word},2\n3,{word},4\n".encode(encoding)) == encoding
    assert not unmarked_unicode(word.encode())


def test_what_is_said_is_read_first_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for encoding in ("cp1251", "utf-16-le"):
        Path("a.csv").write_bytes("a,city,y\n1,Köln,2\n2,Рим,3\n".replace("ö", "о").encode(encoding))
        with pytest.raises(Failure) as caught:
            Csv(path="a.csv", target=("y",)).load(Path())
        help = caught.value.problems[0].help
        assert f"`encoding: {encoding}`" in help
        table = Csv(path="a.csv", target=("y",), encoding=encoding).load(Path())
        assert table.texts["city"].categories[1] == "Рим"
    Path("a.csv").write_bytes("a,y\nö,2\nü,3\n".encode() + "ä,4\n".encode("latin-1"))
    with pytest.raises(Failure) as caught:
        Csv(path="a.csv", target=("y",)).load(Path())
    assert (caught.value.problems[0].line, caught.value.problems[0].help) == (
        4, "2 other lines are UTF-8: write this one so, too",
    )  # fmt: skip
