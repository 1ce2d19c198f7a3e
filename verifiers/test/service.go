// A service that protects its routes with verifiers/go/postern.go.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	postern "postern.example/verifiers/go"
)

func main() {
	seconds, err := strconv.ParseFloat(os.Getenv("MAX_SILENCE"), 64)
	if err != nil {
		log.Fatal(err)
	}
	user := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(postern.ClaimsOf(r))
	})
	mux := http.NewServeMux()
	for name, follow := range map[string]string{"feed": "feed", "status-list": "status-list", "none": "none", "open": "feed"} {
		verifier, err := postern.New(postern.Options{
			Issuer:       os.Getenv("ISSUER"),
			Audience:     "postern",
			Follow:       follow,
			ClientID:     os.Getenv("CLIENT"),
			ClientSecret: os.Getenv("SECRET"),
			MaxSilence:   time.Duration(seconds * float64(time.Second)),
			FailOpen:     name == "open",
		})
		if err != nil {
			log.Fatal(err)
		}
		mux.Handle("/"+name, verifier.Require("", user))
		mux.Handle("/"+name+"/admin", verifier.Require("admin", user))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on http://%s\n", listener.Addr())
	log.Fatal(http.Serve(listener, mux))
}
