"""Lists a bank's tools, counts its recordings over all pages and the hits of one word, and makes and deletes a task; prints JSON.

Arguments: the bank's URL, a word. Environment: BANK_TOKEN, SSL_CERT_FILE.
"""

import asyncio
import json
import os
import ssl
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


async def count(client, tool, key, arguments):
    ids, cursor = set(), None
    while True:
        page = dict(arguments, limit=100)
        if cursor:
            page["cursor"] = cursor
        result = await client.call_tool(tool, page)
        if result.is_error:
            raise SystemExit(f"{tool}: {result.content}")
        ids.update(item["id"] for item in result.structured_content[key])
        cursor = result.structured_content.get("nextCursor")
        if not cursor:
            return len(ids)


async def one_task(client):
    """Title of a task as it is read back, and what its deletion says."""

    async def call(tool, arguments):
        result = await client.call_tool(tool, arguments)
        if result.is_error:
            raise SystemExit(f"{tool}: {result.content}")
        return result.structured_content

    made = await call("create_task", {"title": "From Python", "dueAt": "2027-01-15T09:00:00Z"})
    read = await call("get_task", {"id": made["id"]})
    gone = await call("delete_task", {"id": made["id"], "version": read["version"]})
    return [read["title"], gone["deleted"]["tasks"]]


async def main(url, word):
    http = httpx2.AsyncClient(
        verify=ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"]),
        headers={"Authorization": f"Bearer {os.environ['BANK_TOKEN']}"},
    )
    async with http, Client(streamable_http_client(url, http_client=http)) as client:
        tools = await client.list_tools()
        print(
            json.dumps(
                {
                    "tools": sorted(tool.name for tool in tools.tools),
                    "recordings": await count(client, "list_recordings", "recordings", {}),
                    "task": await one_task(client),
                    "found": await count(client, "search_recordings", "results", {"query": word}),
                }
            )
        )


asyncio.run(main(sys.argv[1], sys.argv[2]))
