// Lists a bank's tools over all pages, counts its recordings and the hits of one word, makes and deletes a task, and waits to be told of a note
// of its own; prints JSON.
//
// Arguments: the bank's URL, its id, a revision of the protocol, a word. Environment: BANK_TOKEN, SSL_CERT_FILE if any.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sort"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const limit = 60 * time.Second

// bearer adds the token to every request.
type bearer struct{ token string }

func (b bearer) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Header.Set("Authorization", "Bearer "+b.token)
	return http.DefaultTransport.RoundTrip(request)
}

type object = map[string]any

type answer struct {
	Revision   string   `json:"revision"`
	Tools      []string `json:"tools"`
	Recordings int      `json:"recordings"`
	Found      int      `json:"found"`
	Task       []any    `json:"task"`
	Heard      string   `json:"heard"`
}

func main() {
	seen, err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = json.NewEncoder(os.Stdout).Encode(seen)
}

func run(url, bank, revision, word string) (seen answer, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	updated := make(chan string, 16)
	client := mcp.NewClient(&mcp.Implementation{Name: "bankhouse-go", Version: "1"}, &mcp.ClientOptions{
		ResourceUpdatedHandler: func(_ context.Context, request *mcp.ResourceUpdatedNotificationRequest) {
			updated <- request.Params.URI
		},
	})
	session, err := client.Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint:   url,
		HTTPClient: &http.Client{Transport: bearer{os.Getenv("BANK_TOKEN")}},
	}, &mcp.ClientSessionOptions{ProtocolVersion: revision})
	if err != nil {
		return seen, fmt.Errorf("connect: %w", err)
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	seen.Revision = session.InitializeResult().ProtocolVersion
	for tool, err := range session.Tools(ctx, nil) {
		if err != nil {
			return seen, fmt.Errorf("tools: %w", err)
		}
		seen.Tools = append(seen.Tools, tool.Name)
	}
	sort.Strings(seen.Tools)
	if seen.Recordings, err = count(ctx, session, "list_recordings", "recordings", object{}); err != nil {
		return seen, err
	}
	if seen.Found, err = count(ctx, session, "search_recordings", "results", object{"query": word}); err != nil {
		return seen, err
	}
	if seen.Task, err = oneTask(ctx, session); err != nil {
		return seen, err
	}
	seen.Heard, err = oneUpdate(ctx, session, bank, updated)
	return seen, err
}

// call gives the structured content of a tool's answer.
func call(ctx context.Context, session *mcp.ClientSession, tool string, arguments object) (object, error) {
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tool, err)
	}
	content, isObject := result.StructuredContent.(object)
	if result.IsError || !isObject {
		text, _ := json.Marshal(result.Content)
		return nil, fmt.Errorf("%s: %s", tool, text)
	}
	return content, nil
}

// count follows the cursors of a tool that lists, and counts different ids.
func count(ctx context.Context, session *mcp.ClientSession, tool, key string, arguments object) (int, error) {
	ids := map[any]bool{}
	arguments["limit"] = 100
	for {
		page, err := call(ctx, session, tool, arguments)
		if err != nil {
			return 0, err
		}
		for _, item := range page[key].([]any) {
			ids[item.(object)["id"]] = true
		}
		cursor, isMore := page["nextCursor"].(string)
		if !isMore {
			return len(ids), nil
		}
		arguments["cursor"] = cursor
	}
}

// oneTask gives the title of a task as it is read back, and how many its deletion deleted.
func oneTask(ctx context.Context, session *mcp.ClientSession) ([]any, error) {
	made, err := call(ctx, session, "create_task", object{"title": "From Go", "dueAt": "2027-01-15T09:00:00Z"})
	if err != nil {
		return nil, err
	}
	read, err := call(ctx, session, "get_task", object{"id": made["id"]})
	if err != nil {
		return nil, err
	}
	gone, err := call(ctx, session, "delete_task", object{"id": made["id"], "version": read["version"]})
	if err != nil {
		return nil, err
	}
	return []any{read["title"], gone["deleted"].(object)["tasks"]}, nil
}

// oneUpdate watches a note, changes it, and gives "the note" where that was told.
func oneUpdate(ctx context.Context, session *mcp.ClientSession, bank string, updated <-chan string) (string, error) {
	made, err := call(ctx, session, "create_note", object{"title": "From Go"})
	if err != nil {
		return "", err
	}
	id := made["id"].(string)
	uri := "bankhouse://" + bank + "/notes/" + id
	if err := session.Subscribe(ctx, &mcp.SubscribeParams{URI: uri}); err != nil {
		return "", fmt.Errorf("subscribe: %w", err)
	}
	if _, err := call(ctx, session, "patch_note", object{"id": id, "version": 1, "body": "changed"}); err != nil {
		return "", err
	}
	select {
	case heard := <-updated:
		if heard != uri {
			return heard, nil
		}
	case <-ctx.Done():
		return "", fmt.Errorf("nothing was told of %s: %w", uri, ctx.Err())
	}
	_, err = call(ctx, session, "delete_note", object{"id": id, "version": 2})
	return "the note", err
}
