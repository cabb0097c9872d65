"""The graph of executions and contents: what comes from what."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dvc_wandb.report.graph import Graph, key_of
from dvc_wandb.report.graph_text import RegistryNames, mermaid, mermaid_limit
from tests.unit.executions import content, execution

PREPARE = execution("prepare", "raw", "data")
TRAIN = execution("train", "data train.py", "model")
JUDGE = execution("judge", "model data", "verdict")
SAY = execution("say")
ALL = [PREPARE, TRAIN, JUDGE, SAY]


def key(path: str) -> tuple[str, str | None]:
    return key_of(content(path))


def stages(graph: Graph) -> list[str]:
    return [one.stage for one in graph.executions]


def paths(graph: Graph) -> set[str]:
    return {path for path, _ in graph.contents}


def test_executions_come_upstream_first_however_they_were_given():
    for seed in range(10):
        assert stages(Graph(random.Random(seed).sample(ALL, len(ALL)))) == ["prepare", "say", "train", "judge"]


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20))
def test_no_execution_comes_before_what_it_reads_was_made(pairs: list[tuple[int, int]]):
    reads = {at: {low for low, high in pairs if high == at and low < high} for at in range(8)}
    chain = [execution(f"s{9 - at}", " ".join(f"f{low}" for low in reads[at]), f"f{at}") for at in range(8)]
    place = {stage: at for at, stage in enumerate(stages(Graph(chain)))}
    assert len(place) == 8
    assert all(place[f"s{9 - low}"] < place[f"s{9 - at}"] for at in reads for low in reads[at])


def test_a_flowchart_that_is_too_large_has_stages_alone_and_that_is_said():
    names = RegistryNames()
    assert mermaid_limit(Graph(ALL)) == ""
    assert "[" in mermaid(Graph(ALL), names).replace("([", "")
    large = Graph([*ALL, execution("wide", " ".join(f"f{at}" for at in range(400)))])
    assert "[" not in mermaid(large, names).replace("([", "")
    assert mermaid_limit(large).startswith("the flowchart has stages alone: all 408 edges are more than the 400")


def test_upstream_is_what_made_it_and_what_that_read():
    found = Graph(ALL).upstream([key("model")])
    assert stages(found) == ["prepare", "train"]
    assert paths(found) == {"raw", "data", "train.py", "model"}


def test_downstream_is_what_reads_it_and_what_that_makes():
    found = Graph(ALL).downstream([key("data")])
    assert stages(found) == ["train", "judge"]
    assert paths(found) == {"data", "train.py", "model", "verdict"}


def test_up_and_down_of_one_content_joined_have_both():
    graph = Graph(ALL)
    found = graph.upstream([key("data")]).union(graph.downstream([key("data")]))
    assert stages(found) == ["prepare", "train", "judge"]


def test_an_execution_that_makes_nothing_has_its_upstream_too():
    check = execution("check", "model")
    assert stages(Graph([*ALL, check]).leading_to(check)) == ["prepare", "train", "check"]
    assert Graph([*ALL, check]).stages_without_outs("check") == [check]


def test_a_stage_that_was_locked_with_older_data_hangs_on_that():
    older = replace(TRAIN, deps=(content("data", "older"), *TRAIN.deps[1:]))
    found = Graph([PREPARE, older]).upstream([key("model")])
    assert stages(found) == ["train"]
    assert ("data", "older") in found.sources()


def test_executions_of_two_commits_lie_in_one_graph():
    other = replace(PREPARE, deps=(content("raw", "new"),), outs=(content("data", "new"),))
    graph = Graph([PREPARE, other])
    assert graph.makers[key("data")] == PREPARE
    assert graph.makers["data", "new"] == other
    assert len(graph.executions) == 2


def test_a_dependency_on_a_part_of_a_folder_leads_to_the_folders_maker():
    folder = content("data")
    reads = replace(execution("count", "", "count.txt"), deps=(content("data/one.csv", folder_out=folder),))
    found = Graph([PREPARE, reads]).upstream([key("count.txt")])
    assert stages(found) == ["prepare", "count"]
    assert "data/one.csv" not in paths(found)


def test_a_stage_that_reads_what_it_made_before_is_no_circle():
    growing = execution("grow", "log.txt", "log.txt")
    assert stages(Graph([growing])) == ["grow"]


def test_sources_are_made_by_nobody_and_files_added_by_hand_are_there():
    graph = Graph(ALL, [content("notes")])
    assert {path for path, _ in graph.sources()} == {"raw", "train.py", "notes"}


def test_a_name_means_a_path_a_file_of_a_folder_or_the_outs_of_a_stage():
    graph = Graph(ALL)
    assert graph.find("data/") == [key("data")]
    assert graph.find("data/one.csv") == [key("data")]
    assert graph.find("judge") == [key("verdict")]
    assert graph.find("database") == []
