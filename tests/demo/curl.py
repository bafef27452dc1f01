"""What the examples need of curl, for machines that have none: `curl [-s] [-G] [-X M] [-H …] [-d …] URL`."""

import argparse
import sys
import urllib.error
import urllib.request
from urllib.parse import quote

parser = argparse.ArgumentParser()
parser.add_argument("-s", action="store_true")
parser.add_argument("-G", action="store_true")
parser.add_argument("-X")
parser.add_argument("-H", action="append", default=[])
parser.add_argument("-d")
parser.add_argument("--data-urlencode")
parser.add_argument("url")
given = parser.parse_args()
url = given.url
if given.data_urlencode:
    name, _, value = given.data_urlencode.partition("=")
    url = f"{url}?{name}={quote(value)}"
body = given.d.encode() if given.d else None
headers = dict(line.split(": ", 1) for line in given.H)
request = urllib.request.Request(url, body, headers, method=given.X or ("POST" if body else "GET"))
try:
    answer = urllib.request.urlopen(request, timeout=30).read()
except urllib.error.HTTPError as error:
    answer = error.read()
sys.stdout.buffer.write(answer)
