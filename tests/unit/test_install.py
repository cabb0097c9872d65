"""What uv is told of pip's configuration, where a company's index or certificates may be named."""

from __future__ import annotations

from install import for_uv


def test_a_configuration_of_nothing_tells_nothing():
    assert for_uv("") == {}
    assert for_uv("global.user='true'\n:env:.disable-pip-version-check='1'\n") == {}


def test_indexes_folders_and_certificates_are_told():
    listed = r"""
global.cert='/etc/ssl/own.pem'
global.constraint='/etc/xdg/pip/constraints.txt'
global.extra-index-url='\nhttps://b/simple\nhttps://c/simple'
global.find-links='/opt/wheels /opt/more'
global.index-url='https://name:secret@a/simple'
global.proxy='http://proxy:3128'
global.trusted-host='a b'
"""
    assert for_uv(listed) == {
        "SSL_CERT_FILE": "/etc/ssl/own.pem",
        "UV_CONSTRAINT": "/etc/xdg/pip/constraints.txt",
        "UV_EXTRA_INDEX_URL": "https://b/simple https://c/simple",
        "UV_FIND_LINKS": "/opt/wheels,/opt/more",
        "UV_DEFAULT_INDEX": "https://name:secret@a/simple",
        "ALL_PROXY": "http://proxy:3128",
        "UV_INSECURE_HOST": "a b",
    }


def test_a_command_of_its_own_and_the_environment_come_before_the_rest():
    listed = """
:env:.default-timeout='180'
:env:.index-url='https://of-the-environment/simple'
global.index-url='https://of-all-commands/simple'
global.find-links='/of/all/commands'
install.find-links='/of/install'
install.index-url='https://of-install/simple'
"""
    assert for_uv(listed) == {
        "UV_DEFAULT_INDEX": "https://of-the-environment/simple",
        "UV_FIND_LINKS": "/of/install",
        "UV_HTTP_TIMEOUT": "180",
    }
