"""Lists in pages: the numbers and addresses of a page, and the connections of GraphQL."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wandb_registry.errors import BadInput
from wandb_registry.graphql.engine import paging
from wandb_registry.web.pager import Pager

ROWS = [{"id": number} for number in range(25)]


def page(number: int, total: int, size: int = 10, **facts) -> Pager:
    return Pager(number, size, total, "/list", {"q": ["a b"]}, **facts)


@given(st.integers(0, 200), st.integers(1, 30))
def test_the_pages_of_a_list_hold_each_row_once(total: int, size: int):
    pages = [page(number, total, size) for number in range(1, page(1, total, size).page_count + 1)]
    assert [at for one in pages for at in range(one.offset, one.last)] == list(range(total))
    assert (pages[0].previous, pages[-1].next) == (None, None)


def test_the_first_the_last_and_those_around_are_linked():
    assert [number for number, _ in page(10, 200).links] == [1, 0, 8, 9, 10, 11, 12, 0, 20]
    assert [number for number, _ in page(1, 30).links] == [1, 2, 3]
    assert [number for number, _ in page(1, 0).links] == [1]


def test_an_address_keeps_what_else_was_asked_and_leaves_the_usual_page_unsaid():
    middle = page(2, 30)
    assert middle.next == "/list?q=a+b&page=3"
    assert middle.previous == "/list?q=a+b"
    assert page(2, 30, default=0).previous == "/list?q=a+b&page=1"
    assert page(2, 30, parameter="charts").next == "/list?q=a+b&charts=3"


@given(st.integers(1, 30))
def test_following_the_cursors_gives_each_row_once(size: int):
    found, after = [], None
    while True:
        answer = paging.of_list(ROWS, size, after)
        found += [edge["node"] for edge in answer["edges"]]
        after = answer["page_info"]["end_cursor"]
        if not answer["page_info"]["has_next_page"]:
            break
    assert found == ROWS
    assert answer["total_count"]() == len(ROWS)


def test_a_list_without_rows_is_a_page_without_a_cursor():
    assert paging.of_list([])["page_info"] == {"end_cursor": None, "has_next_page": False}


@pytest.mark.parametrize("cursor", ["x", "YXQ6eA==", "é"])
def test_a_cursor_of_another_server_is_refused(cursor: str):
    with pytest.raises(BadInput, match="is not a cursor of this registry"):
        paging.of_list(ROWS, 5, cursor)


def test_a_page_of_fewer_than_none_is_refused():
    with pytest.raises(BadInput, match="A page of -1 can't be"):
        paging.of_list(ROWS, -1)
