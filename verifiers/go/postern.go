// Package postern verifies Postern's access tokens inside a service.
//
// Copy this file. It needs Go 1.19 or newer, and nothing else.
package postern

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	attempt     = 5 * time.Second
	pause       = 500 * time.Millisecond // least time between two fetches of the same thing
	clockSkew   = 60                     // seconds
	largestList = 1 << 24                // bytes
)

// Options configures a Verifier. Issuer, Audience and Follow are required.
type Options struct {
	// Exactly Postern's ISSUER and AUDIENCE. The verifier finds all addresses from the issuer.
	Issuer, Audience string
	// The source of revocations: "feed" (milliseconds), "status-list" (at most its ttl late), or "none".
	Follow string
	// The credentials of an API client, from `clients create`. Only the feed needs them.
	ClientID, ClientSecret string
	// The time that the feed may be silent before tokens are refused. Postern sends something every 15 seconds. 0 means 30 seconds.
	MaxSilence time.Duration
	// Accepts tokens whose revocation cannot be checked, and keeps keys that cannot be fetched again.
	FailOpen bool
}

// Claims are the claims of an access token (RFC 9068). SID is the session. Times are in seconds since 1970.
type Claims struct {
	Issuer   string   `json:"iss"`
	Audience string   `json:"aud"`
	Subject  string   `json:"sub"`
	ClientID string   `json:"client_id"`
	JTI      string   `json:"jti"`
	SID      string   `json:"sid"`
	Roles    []string `json:"roles"`
	IssuedAt int64    `json:"iat"`
	Expires  int64    `json:"exp"`
	AuthTime int64    `json:"auth_time"`
	status   struct {
		List *struct {
			Index *int64 `json:"idx"`
			URI   string `json:"uri"`
		} `json:"status_list"`
	}
}

// Refusal is the reason for a refused token: a stable Code and its HTTP Status. Log the Cause of "unavailable".
type Refusal struct {
	Code   string
	Status int
	Cause  error
	detail string
}

func (r *Refusal) Error() string { return r.Code + ": " + r.detail }

// Unwrap returns the Cause.
func (r *Refusal) Unwrap() error { return r.Cause }

var refusals = map[string]Refusal{
	"missing_token":    {Status: 401, detail: "Send a token in the Authorization header, as Bearer."},
	"invalid_token":    {Status: 401, detail: "The token is not valid here. Sign in again."},
	"wrong_token_type": {Status: 401, detail: "This is another type of token. Send an access token."},
	"token_expired":    {Status: 401, detail: "The token has expired. Refresh it, or sign in again."},
	"token_revoked":    {Status: 401, detail: "The token was revoked. Sign in again."},
	"forbidden":        {Status: 403, detail: "The token lacks the required role. Ask an administrator."},
	"unavailable":      {Status: 503, detail: "The token cannot be checked right now. Try again in a moment."},
}

func refusal(code string) *Refusal {
	refused := refusals[code]
	refused.Code = code
	return &refused
}

// Verifier verifies access tokens. One per process is enough; goroutines may share it.
type Verifier struct {
	options Options
	stop    context.CancelFunc
	ctx     context.Context
	client  *http.Client
	keys    keyring
	check   func(*Claims, string) error // a *Refusal for a revoked token, any other error when it cannot find out
}

// New creates a Verifier, which starts to follow revocations.
func New(options Options) (*Verifier, error) {
	if options.MaxSilence == 0 {
		options.MaxSilence = 30 * time.Second
	}
	ctx, stop := context.WithCancel(context.Background())
	refuse := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	v := &Verifier{options: options, ctx: ctx, stop: stop, client: &http.Client{CheckRedirect: refuse}}
	v.keys.load = shareOutcome(func(string) error { return v.loadKeys() })
	switch options.Follow {
	case "feed":
		if options.ClientID == "" || options.ClientSecret == "" {
			return nil, errors.New("postern: the feed needs ClientID and ClientSecret")
		}
		v.check = v.followFeed()
	case "status-list":
		v.check = v.readLists()
	case "none":
		v.check = func(*Claims, string) error { return nil }
	default:
		return nil, errors.New(`postern: Follow must be "feed", "status-list" or "none"`)
	}
	return v, nil
}

// Close stops following revocations.
func (v *Verifier) Close() { v.stop() }

// Verify returns the claims of a good token. Its error is always a *Refusal.
func (v *Verifier) Verify(token string) (*Claims, error) {
	claims, err := v.verify(token)
	if err == nil {
		return claims, nil
	}
	if refused, ok := err.(*Refusal); ok {
		return nil, refused
	}
	unavailable := refusal("unavailable")
	unavailable.Cause = err
	return nil, unavailable
}

func (v *Verifier) verify(token string) (*Claims, error) {
	kid, payload, err := v.open(token, "at+jwt")
	if err != nil {
		return nil, err
	}
	claims, ok := parseClaims(payload)
	if !ok || claims.Issuer != v.options.Issuer || claims.Audience != v.options.Audience {
		return nil, refusal("invalid_token")
	}
	if claims.Expires <= time.Now().Unix() { // to the second: the revocation may be forgotten from then on
		return nil, refusal("token_expired")
	}
	if err := v.check(claims, kid); err != nil {
		if _, ok := err.(*Refusal); ok || !v.options.FailOpen {
			return nil, err
		}
	}
	return claims, nil
}

type contextKey struct{}

// ClaimsOf returns the claims of a request that Require accepted, and nil for any other request.
func ClaimsOf(r *http.Request) *Claims {
	claims, _ := r.Context().Value(contextKey{}).(*Claims)
	return claims
}

// Require is a middleware that answers 401, 503, or 403 when the token lacks the role. With the role "" it accepts any good token.
func (v *Verifier) Require(role string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, err := v.authorize(r.Header.Values("Authorization"), role)
		if err != nil {
			err.(*Refusal).answer(w) // authorize returns no other error
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, claims)))
	})
}

func (v *Verifier) authorize(authorization []string, role string) (*Claims, error) {
	if len(authorization) == 0 || len(authorization[0]) < 7 || !strings.EqualFold(authorization[0][:7], "bearer ") {
		return nil, refusal("missing_token")
	}
	if len(authorization) > 1 { // a gateway may have checked the other one
		return nil, refusal("invalid_token")
	}
	claims, err := v.Verify(authorization[0][7:])
	if err != nil || role == "" {
		return claims, err
	}
	for _, its := range claims.Roles {
		if its == role {
			return claims, nil
		}
	}
	return nil, refusal("forbidden")
}

// Answers a refusal as Postern itself does: with a challenge (RFC 6750) and a problem (RFC 9457).
func (r *Refusal) answer(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	switch {
	case r.Code == "missing_token":
		w.Header().Set("WWW-Authenticate", "Bearer")
	case r.Status == 401:
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer error="invalid_token", error_description="%s"`, r.detail))
	case r.Status == 403:
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer error="insufficient_scope", error_description="%s"`, r.detail))
	}
	w.WriteHeader(r.Status)
	json.NewEncoder(w).Encode(map[string]any{"type": "about:blank", "title": http.StatusText(r.Status), "status": r.Status, "detail": r.detail, "code": r.Code})
}

// Verifies the type and the signature of a JWT. Returns the key's id and the payload.
func (v *Verifier) open(jwt, typ string) (string, []byte, error) {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return "", nil, refusal("invalid_token")
	}
	var header struct {
		Alg, Kid, Typ string
		Crit          any
	}
	head, _ := base64.RawURLEncoding.DecodeString(parts[0])
	if json.Unmarshal(head, &header); header.Typ != typ { // an unreadable header has no type
		return "", nil, refusal("wrong_token_type")
	}
	key, err := v.keys.find(header.Kid, v.options.FailOpen)
	if err != nil {
		return "", nil, err
	}
	signature, malformed := base64.RawURLEncoding.DecodeString(parts[2])
	payload, malformedToo := base64.RawURLEncoding.DecodeString(parts[1])
	isGood := malformed == nil && malformedToo == nil && header.Crit == nil &&
		key != nil && header.Alg == key.alg && key.verifySignature(signature, []byte(parts[0]+"."+parts[1])) // the key decides the algorithm; the token only repeats it
	if !isGood {
		return "", nil, refusal("invalid_token")
	}
	return header.Kid, payload, nil
}

func parseClaims(payload []byte) (*Claims, bool) {
	var parsed struct {
		Claims
		NotBefore any             `json:"nbf"`
		Status    json.RawMessage `json:"status"`
	}
	if json.Unmarshal(payload, &parsed) != nil {
		return nil, false
	}
	c := parsed.Claims
	isComplete := c.Subject != "" && c.ClientID != "" && c.JTI != "" && c.SID != "" && c.Roles != nil && parsed.NotBefore == nil &&
		c.Expires > 0 && c.AuthTime > 0 && c.IssuedAt > 0 && c.IssuedAt <= time.Now().Unix()+clockSkew
	if json.Unmarshal(parsed.Status, &c.status) != nil {
		c.status.List = nil // it may be half read
	}
	return &c, isComplete
}

// Postern's public keys. Fetches them again when they are too old, and when one is missing.
type keyring struct {
	mutex    sync.RWMutex
	keys     map[string]*key
	loadedAt time.Time
	maxAge   time.Duration
	limit    time.Duration // if not 0, keys are fetched again after it: without the feed, only a new fetch shows that a key was revoked
	load     func(string) error
}

type key struct {
	alg             string
	verifySignature func(signature, text []byte) bool
}

func (k *keyring) find(kid string, failOpen bool) (*key, error) {
	get := func() (*key, bool) {
		k.mutex.RLock()
		defer k.mutex.RUnlock()
		age := time.Since(k.loadedAt)
		return k.keys[kid], age > k.maxAge || k.limit > 0 && age > k.limit
	}
	found, isOld := get()
	if isOld {
		if err := k.load(""); err != nil && !failOpen {
			return nil, err
		}
		found, _ = get()
	}
	if found == nil {
		if err := k.load(""); err != nil {
			return nil, err
		}
		found, _ = get()
	}
	return found, nil
}

var maxAge = regexp.MustCompile(`max-age=(\d{1,9})`)

func (v *Verifier) loadKeys() error {
	asked := time.Now()
	var metadata struct {
		Issuer string
		JWKS   string `json:"jwks_uri"`
	}
	if _, err := v.getJSON(v.options.Issuer+"/.well-known/oauth-authorization-server", nil, &metadata); err != nil {
		return err
	}
	if metadata.Issuer != v.options.Issuer {
		return fmt.Errorf("the issuer is %s, not %s", metadata.Issuer, v.options.Issuer)
	}
	var set struct{ Keys []jwk }
	header, err := v.getJSON(metadata.JWKS, nil, &set)
	if err != nil {
		return err
	}
	seconds := 60
	if found := maxAge.FindStringSubmatch(header.Get("Cache-Control")); found != nil {
		seconds, _ = strconv.Atoi(found[1])
	}
	keys := map[string]*key{}
	for _, jwk := range set.Keys {
		if verifySignature := jwk.verifier(); verifySignature != nil {
			keys[jwk.Kid] = &key{jwk.Alg, verifySignature}
		}
	}
	v.keys.mutex.Lock()
	defer v.keys.mutex.Unlock()
	v.keys.keys, v.keys.loadedAt, v.keys.maxAge = keys, asked, time.Duration(seconds)*time.Second
	return nil
}

type jwk struct{ Kid, Alg, X, Y, N, E string }

func (j jwk) verifier() func(signature, text []byte) bool {
	bytesOf := func(part string) []byte { value, _ := base64.RawURLEncoding.DecodeString(part); return value }
	number := func(value []byte) *big.Int { return new(big.Int).SetBytes(value) }
	rsaKey := &rsa.PublicKey{N: number(bytesOf(j.N)), E: int(number(bytesOf(j.E)).Int64())}
	switch j.Alg {
	case "ES256":
		public := &ecdsa.PublicKey{Curve: elliptic.P256(), X: number(bytesOf(j.X)), Y: number(bytesOf(j.Y))}
		return func(signature, text []byte) bool {
			digest := sha256.Sum256(text)
			return len(signature) == 64 && ecdsa.Verify(public, digest[:], number(signature[:32]), number(signature[32:]))
		}
	case "RS256":
		return func(signature, text []byte) bool {
			digest := sha256.Sum256(text)
			return rsa.VerifyPKCS1v15(rsaKey, crypto.SHA256, digest[:], signature) == nil
		}
	case "PS256":
		return func(signature, text []byte) bool {
			digest := sha256.Sum256(text)
			return rsa.VerifyPSS(rsaKey, crypto.SHA256, digest[:], signature, &rsa.PSSOptions{SaltLength: 32}) == nil
		}
	case "EdDSA":
		public := ed25519.PublicKey(bytesOf(j.X))
		return func(signature, text []byte) bool {
			return len(public) == ed25519.PublicKeySize && ed25519.Verify(public, text, signature)
		}
	}
	return nil
}

type revocation struct {
	ID    string
	Until time.Time
}

// Follows GET /revocations. Remembers every revoked token, session and key until it expires.
type feed struct {
	*Verifier
	mutex         sync.RWMutex
	revoked       map[string]time.Time
	cursor        string
	lastMessageAt time.Time
	fault         error
}

func (v *Verifier) followFeed() func(*Claims, string) error {
	f := &feed{Verifier: v, revoked: map[string]time.Time{}, cursor: "0", fault: errors.New("the feed is silent")}
	attempted, once := make(chan struct{}), sync.Once{}
	onMessage := func() { once.Do(func() { close(attempted) }) }
	go func() {
		for v.ctx.Err() == nil {
			err := f.catchUp()
			if err == nil {
				err = f.listen(onMessage)
			}
			f.mutex.Lock()
			f.fault = err
			f.mutex.Unlock()
			onMessage()
			time.Sleep(pause)
		}
	}()

	return func(claims *Claims, kid string) error {
		<-attempted
		f.mutex.RLock()
		defer f.mutex.RUnlock()
		for _, id := range []string{claims.JTI, claims.SID, kid} {
			if _, ok := f.revoked[id]; ok {
				return refusal("token_revoked")
			}
		}
		if time.Since(f.lastMessageAt) > v.options.MaxSilence {
			return f.fault
		}
		return nil
	}
}

func (f *feed) header() http.Header {
	credentials := base64.StdEncoding.EncodeToString([]byte(f.options.ClientID + ":" + f.options.ClientSecret))
	return http.Header{"Authorization": {"Basic " + credentials}}
}

func (f *feed) catchUp() error { // in pages: a page says when all past revocations were sent; events do not
	for more := true; more; {
		var page struct {
			Revocations []revocation
			Cursor      string
			More        bool
		}
		if _, err := f.getJSON(f.options.Issuer+"/revocations?since="+f.cursor, f.header(), &page); err != nil {
			return err
		}
		f.mutex.Lock()
		for _, revocation := range page.Revocations {
			f.revoked[revocation.ID] = revocation.Until
		}
		f.mutex.Unlock()
		f.cursor, more = page.Cursor, page.More
	}
	return nil
}

func (f *feed) listen(onMessage func()) error {
	header := f.header()
	header.Set("Accept", "text/event-stream")
	header.Set("Last-Event-ID", f.cursor)
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	patience := f.options.MaxSilence * 2 / 3 // the last third is for the new connection
	silence := time.AfterFunc(patience, cancel)
	defer silence.Stop()
	response, err := f.get(ctx, f.options.Issuer+"/revocations", header)
	if err != nil {
		return err
	}
	defer response.Body.Close()

	id, data := f.cursor, ""
	for lines := bufio.NewScanner(response.Body); ; {
		if !lines.Scan() {
			return fmt.Errorf("the feed has ended: %v", lines.Err())
		}
		field, value, _ := strings.Cut(lines.Text(), ": ")
		f.mutex.Lock()
		switch {
		case field == "id":
			id = value
		case field == "data":
			data = value
		case field == "" && value != "": // a comment, by which Postern shows that it is still there
			for id, until := range f.revoked {
				if until.Before(time.Now()) {
					delete(f.revoked, id)
				}
			}
		case field == "" && data != "":
			var news revocation
			if err := json.Unmarshal([]byte(data), &news); err != nil {
				f.mutex.Unlock()
				return err
			}
			f.revoked[news.ID] = news.Until
			f.cursor, data = id, ""
		}
		f.lastMessageAt = time.Now()
		f.mutex.Unlock()
		silence.Reset(patience)
		onMessage()
	}
}

type list struct {
	bits      []byte
	etag      string
	expires   int64
	ttl       time.Duration
	goodUntil time.Time
}

// Reads the status lists that tokens point to (draft-ietf-oauth-status-list-21), each again after its ttl.
func (v *Verifier) readLists() func(*Claims, string) error {
	var mutex sync.RWMutex
	lists := map[string]list{}
	get := func(uri string) (list, bool) {
		mutex.RLock()
		defer mutex.RUnlock()
		found := lists[uri]
		return found, found.goodUntil.After(time.Now())
	}

	load := shareOutcome(func(uri string) error {
		asked := time.Now()
		header := http.Header{"Accept": {"application/statuslist+jwt"}}
		found, _ := get(uri)
		if found.expires > asked.Unix() {
			header.Set("If-None-Match", found.etag)
		}
		ctx, cancel := context.WithTimeout(v.ctx, attempt)
		defer cancel()
		response, err := v.get(ctx, uri, header)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusNotModified {
			if found, err = v.readList(response, uri); err != nil {
				return err
			}
		}
		found.goodUntil = asked.Add(found.ttl)
		mutex.Lock()
		for uri, known := range lists {
			if known.expires <= asked.Unix() {
				delete(lists, uri)
			}
		}
		lists[uri] = found
		mutex.Unlock()
		v.keys.mutex.Lock()
		v.keys.limit = found.ttl
		v.keys.mutex.Unlock()
		return nil
	})

	return func(claims *Claims, _ string) error {
		place := claims.status.List
		if place == nil || place.Index == nil || !strings.HasPrefix(place.URI, v.options.Issuer+"/") {
			return refusal("invalid_token")
		}
		found, isGood := get(place.URI)
		if !isGood {
			if err := load(place.URI); err != nil {
				return err
			}
			found, _ = get(place.URI)
		}
		if *place.Index < 0 || *place.Index/8 >= int64(len(found.bits)) {
			return refusal("invalid_token")
		}
		if found.bits[*place.Index/8]>>(*place.Index%8)&1 == 1 {
			return refusal("token_revoked")
		}
		return nil
	}
}

func (v *Verifier) readList(response *http.Response, uri string) (list, error) {
	body, err := io.ReadAll(io.LimitReader(response.Body, largestList))
	if err != nil {
		return list{}, err
	}
	var parsed struct {
		Sub      string
		Iat, Exp int64
		TTL      float64
		List     struct {
			Bits int
			Lst  string
		} `json:"status_list"`
	}
	_, payload, err := v.open(string(body), "statuslist+jwt")
	if err == nil {
		err = json.Unmarshal(payload, &parsed)
	}
	now := time.Now().Unix()
	if err != nil || parsed.Sub != uri || parsed.Iat <= 0 || parsed.Iat > now+clockSkew || parsed.Exp <= now || parsed.TTL <= 0 || parsed.List.Bits != 1 {
		return list{}, fmt.Errorf("%s is not a valid status list: %v", uri, err)
	}
	compressed, err := base64.RawURLEncoding.DecodeString(parsed.List.Lst)
	if err != nil {
		return list{}, err
	}
	inflated, err := zlib.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return list{}, err
	}
	bits, err := io.ReadAll(io.LimitReader(inflated, largestList))
	return list{bits: bits, etag: response.Header.Get("ETag"), expires: parsed.Exp, ttl: time.Duration(parsed.TTL * float64(time.Second))}, err
}

// Runs one attempt at a time. All callers with the same key share its outcome, a failure too, until `pause` after it.
func shareOutcome(attempt func(key string) error) func(key string) error {
	type outcome struct {
		err     error
		endedAt time.Time
	}
	var mutex sync.Mutex
	last := map[string]outcome{}
	return func(key string) error {
		mutex.Lock()
		defer mutex.Unlock()
		if time.Since(last[key].endedAt) > pause {
			err := attempt(key)
			last[key] = outcome{err, time.Now()}
		}
		return last[key].err
	}
}

func (v *Verifier) get(ctx context.Context, url string, header http.Header) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if header != nil {
		request.Header = header
	}
	request.Header.Set("Cache-Control", "no-cache")
	response, err := v.client.Do(request)
	if err == nil && response.StatusCode != http.StatusOK && response.StatusCode != http.StatusNotModified {
		response.Body.Close()
		return nil, fmt.Errorf("%s answered %s", url, response.Status)
	}
	return response, err
}

func (v *Verifier) getJSON(url string, header http.Header, value any) (http.Header, error) {
	ctx, cancel := context.WithTimeout(v.ctx, attempt)
	defer cancel()
	response, err := v.get(ctx, url, header)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return response.Header, json.NewDecoder(response.Body).Decode(value)
}
