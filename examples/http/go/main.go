// A handler for salesbot-bridge, written with Go's standard library alone.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"time"
)

func isGenuine(key []byte, header http.Header, body []byte) (genuine bool) {
	var sentAt int64 // stays 0, which is too old, if the header is not a number
	fmt.Sscan(header.Get("webhook-timestamp"), &sentAt)
	code := hmac.New(sha256.New, key)
	fmt.Fprintf(code, "%s.%d.%s", header.Get("webhook-id"), sentAt, body)
	expected := "v1," + base64.StdEncoding.EncodeToString(code.Sum(nil))
	// While the secret rotates, the bridge sends two signatures. One of them must match.
	for _, given := range strings.Fields(header.Get("webhook-signature")) {
		genuine = genuine || hmac.Equal([]byte(given), []byte(expected))
	}
	return genuine && time.Since(time.Unix(sentAt, 0)).Abs() <= 5*time.Minute
}

func main() {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(os.Getenv("BRIDGE_SECRET"), "whsec_"))
	if err != nil || len(key) == 0 {
		log.Fatal("set BRIDGE_SECRET")
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		var event struct {
			Data struct{ Input struct{ Message string } }
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil || !isGenuine(key, r.Header, body) || json.Unmarshal(body, &event) != nil {
			http.Error(w, "wrong signature, old timestamp or invalid JSON", http.StatusUnauthorized)
			return
		}
		reply := map[string]string{"reply": "You wrote: " + event.Data.Input.Message}
		json.NewEncoder(w).Encode(map[string]any{"data": reply})
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
