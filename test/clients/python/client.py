"""Lists a bank's tools, counts its recordings over all pages and the hits of one word, makes and deletes a task, and waits to be told of a
note of its own; prints JSON.

Arguments: the bank's URL, its id, "legacy", "auto" or a revision of the protocol, a word. Environment: BANK_TOKEN, SSL_CERT_FILE if any.
"""

import asyncio
import json
import os
import ssl
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

LIMIT_SECONDS = 60


async def call(client, tool, arguments):
    result = await client.call_tool(tool, arguments)
    if result.is_error:
        raise SystemExit(f"{tool}: {result.content}")
    return result.structured_content


async def count(client, tool, key, arguments):
    ids, cursor = set(), None
    while True:
        page = dict(arguments, limit=100)
        if cursor:
            page["cursor"] = cursor
        content = await call(client, tool, page)
        ids.update(item["id"] for item in content[key])
        cursor = content.get("nextCursor")
        if not cursor:
            return len(ids)


async def one_task(client):
    """Title of a task as it is read back, and what its deletion says."""
    made = await call(client, "create_task", {"title": "From Python", "dueAt": "2027-01-15T09:00:00Z"})
    read = await call(client, "get_task", {"id": made["id"]})
    gone = await call(client, "delete_task", {"id": made["id"], "version": read["version"]})
    return [read["title"], gone["deleted"]["tasks"]]


async def one_update(client, bank, told):
    """Watches a note and changes it: "the note" where that is told, in the way of the connection's era."""
    made = await call(client, "create_note", {"title": "From Python"})
    uri = f"bankhouse://{bank}/notes/{made['id']}"
    change = {"id": made["id"], "version": 1, "body": "changed"}
    if client.protocol_version >= "2026":
        async with client.listen(resource_subscriptions=[uri]) as events:
            await call(client, "patch_note", change)
            heard = (await anext(aiter(events))).uri
    else:
        await client.subscribe_resource(uri)
        await call(client, "patch_note", change)
        heard = await told.get()
    await call(client, "delete_note", {"id": made["id"], "version": 2})
    return "the note" if str(heard) == uri else str(heard)


async def main(url, bank, mode, word):
    told = asyncio.Queue()

    async def on_message(message):
        if getattr(message, "method", None) == "notifications/resources/updated":
            await told.put(message.params.uri)

    http = httpx2.AsyncClient(
        verify=ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE")),
        headers={"Authorization": f"Bearer {os.environ['BANK_TOKEN']}"},
    )
    transport = streamable_http_client(url, http_client=http)
    async with http, Client(transport, mode=mode, message_handler=on_message) as client:
        tools = await client.list_tools()
        print(
            json.dumps(
                {
                    "revision": client.protocol_version,
                    "tools": sorted(tool.name for tool in tools.tools),
                    "recordings": await count(client, "list_recordings", "recordings", {}),
                    "found": await count(client, "search_recordings", "results", {"query": word}),
                    "task": await one_task(client),
                    "heard": await one_update(client, bank, told),
                }
            )
        )


asyncio.run(asyncio.wait_for(main(*sys.argv[1:]), LIMIT_SECONDS))
