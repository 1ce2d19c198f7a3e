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
	pause       = 500 * time.Millisecond // between two attempts at the same thing, however many requests want it
	clockSkew   = 60                     // seconds
	largestList = 1 << 24                // bytes
)

// Options says whose tokens are good. Issuer, Audience and Follow are needed.
type Options struct {
	// Postern's ISSUER and AUDIENCE, letter for letter. All addresses are found from the issuer.
	Issuer, Audience string
	// How revocations are learnt: from the "feed" within milliseconds, from a "status-list" within its ttl, or "none".
	Follow string
	// What `clients create` printed. Only the feed needs it.
	ClientID, ClientSecret string
	// For how long the feed may be silent before tokens are refused; Postern is heard every 15 seconds. 0 means 30 seconds.
	MaxSilence time.Duration
	// Whether a token whose revocation cannot be checked passes, and keys that cannot be fetched again stay good.
	FailOpen bool
}

// Claims is what a good access token says (RFC 9068); SID is the session. Times in seconds since 1970.
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

// Refusal is why a token is refused: a stable Code, and the HTTP Status for it. The Cause of "unavailable" is for your log.
type Refusal struct {
	Code   string
	Status int
	Cause  error
	detail string
}

func (r *Refusal) Error() string { return r.Code + ": " + r.detail }

// Unwrap gives the Cause.
func (r *Refusal) Unwrap() error { return r.Cause }

var refusals = map[string]Refusal{
	"missing_token":    {Status: 401, detail: "A token is needed: send it in the Authorization header, as Bearer."},
	"invalid_token":    {Status: 401, detail: "The token is not valid here: sign in again."},
	"wrong_token_type": {Status: 401, detail: "This is the wrong kind of token: send an access token."},
	"token_expired":    {Status: 401, detail: "The token has expired: refresh it, or sign in again."},
	"token_revoked":    {Status: 401, detail: "The token was revoked: sign in again."},
	"forbidden":        {Status: 403, detail: "The token lacks the role that this needs: ask an administrator."},
	"unavailable":      {Status: 503, detail: "Whether the token is good cannot be said now: try again in a moment."},
}

func refusal(code string) *Refusal {
	refused := refusals[code]
	refused.Code = code
	return &refused
}

// Verifier verifies access tokens. A process needs one; goroutines may share it.
type Verifier struct {
	options Options
	stop    context.CancelFunc
	ctx     context.Context
	client  *http.Client
	keys    keyring
	check   func(*Claims, string) error // a *Refusal for a token that was revoked, any other error when that cannot be said
}

// New begins to follow what is revoked.
func New(options Options) (*Verifier, error) {
	if options.MaxSilence == 0 {
		options.MaxSilence = 30 * time.Second
	}
	ctx, stop := context.WithCancel(context.Background())
	refuse := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	v := &Verifier{options: options, ctx: ctx, stop: stop, client: &http.Client{CheckRedirect: refuse}}
	v.keys.load = shared(func(string) error { return v.loadKeys() })
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
		return nil, errors.New(`postern: Follow is "feed", "status-list" or "none"`)
	}
	return v, nil
}

// Close stops following.
func (v *Verifier) Close() { v.stop() }

// Verify gives the claims of a good token. Its error is a *Refusal.
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
	claims, ok := complete(payload)
	if !ok || claims.Issuer != v.options.Issuer || claims.Audience != v.options.Audience {
		return nil, refusal("invalid_token")
	}
	if claims.Expires <= time.Now().Unix() { // to the second, as a revocation is remembered until then
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

// ClaimsOf gives the claims of the token that Require let in with a request, and nil for any other request.
func ClaimsOf(r *http.Request) *Claims {
	claims, _ := r.Context().Value(contextKey{}).(*Claims)
	return claims
}

// Require is a middleware that answers 401, 403 when the token lacks the role, or 503. Without a role ("") any good token does.
func (v *Verifier) Require(role string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, err := v.enter(r.Header.Values("Authorization"), role)
		if err != nil {
			err.(*Refusal).answer(w) // enter gives nothing else
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, claims)))
	})
}

func (v *Verifier) enter(authorization []string, role string) (*Claims, error) {
	if len(authorization) == 0 || len(authorization[0]) < 7 || !strings.EqualFold(authorization[0][:7], "bearer ") {
		return nil, refusal("missing_token")
	}
	if len(authorization) > 1 { // a gateway may have looked at the other
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

// As Postern itself answers it: a challenge (RFC 6750) and a problem (RFC 9457).
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

// The key's id and the payload of a JWT of that type that Postern signed.
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
	if json.Unmarshal(head, &header); header.Typ != typ { // what cannot be read has no type
		return "", nil, refusal("wrong_token_type")
	}
	key, err := v.keys.find(header.Kid, v.options.FailOpen)
	if err != nil {
		return "", nil, err
	}
	signature, malformed := base64.RawURLEncoding.DecodeString(parts[2])
	payload, malformedToo := base64.RawURLEncoding.DecodeString(parts[1])
	isGood := malformed == nil && malformedToo == nil && header.Crit == nil &&
		key != nil && header.Alg == key.alg && key.isSigned(signature, []byte(parts[0]+"."+parts[1])) // the key says which algorithm
	if !isGood {
		return "", nil, refusal("invalid_token")
	}
	return header.Kid, payload, nil
}

func complete(payload []byte) (*Claims, bool) {
	var said struct {
		Claims
		NotBefore any             `json:"nbf"`
		Status    json.RawMessage `json:"status"`
	}
	if json.Unmarshal(payload, &said) != nil {
		return nil, false
	}
	c := said.Claims
	isComplete := c.Subject != "" && c.ClientID != "" && c.JTI != "" && c.SID != "" && c.Roles != nil && said.NotBefore == nil &&
		c.Expires > 0 && c.AuthTime > 0 && c.IssuedAt > 0 && c.IssuedAt <= time.Now().Unix()+clockSkew
	if json.Unmarshal(said.Status, &c.status) != nil {
		c.status.List = nil // half of it may have been read
	}
	return &c, isComplete
}

// Postern's public keys, fetched again when they are too old and when one is missing.
type keyring struct {
	mutex    sync.RWMutex
	keys     map[string]*key
	loadedAt time.Time
	maxAge   time.Duration
	limit    time.Duration // if not 0, keys are too old after it, or earlier: that is how those find out that a key was burnt who do not hear it
	load     func(string) error
}

type key struct {
	alg      string
	isSigned func(signature, text []byte) bool
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
		return fmt.Errorf("the issuer calls itself %s, not %s", metadata.Issuer, v.options.Issuer)
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
		if isSigned := jwk.verifier(); isSigned != nil {
			keys[jwk.Kid] = &key{jwk.Alg, isSigned}
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

// Follows GET /revocations, and remembers every token, session and key that was revoked until it has expired.
type feed struct {
	*Verifier
	mutex   sync.RWMutex
	revoked map[string]time.Time
	cursor  string
	heardAt time.Time
	fault   error
}

func (v *Verifier) followFeed() func(*Claims, string) error {
	f := &feed{Verifier: v, revoked: map[string]time.Time{}, cursor: "0", fault: errors.New("the feed is silent")}
	attempted, once := make(chan struct{}), sync.Once{}
	hear := func() { once.Do(func() { close(attempted) }) }
	go func() {
		for v.ctx.Err() == nil {
			err := f.catchUp()
			if err == nil {
				err = f.listen(hear)
			}
			f.mutex.Lock()
			f.fault = err
			f.mutex.Unlock()
			hear()
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
		if time.Since(f.heardAt) > v.options.MaxSilence {
			return f.fault
		}
		return nil
	}
}

func (f *feed) header() http.Header {
	credentials := base64.StdEncoding.EncodeToString([]byte(f.options.ClientID + ":" + f.options.ClientSecret))
	return http.Header{"Authorization": {"Basic " + credentials}}
}

func (f *feed) catchUp() error { // as pages, because they say where what is past ends; events do not
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

func (f *feed) listen(hear func()) error {
	header := f.header()
	header.Set("Accept", "text/event-stream")
	header.Set("Last-Event-ID", f.cursor)
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	patience := f.options.MaxSilence * 2 / 3 // the last third is for coming back
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
		case field == "" && value != "": // a comment: Postern is still there
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
		f.heardAt = time.Now()
		f.mutex.Unlock()
		silence.Reset(patience)
		hear()
	}
}

type list struct {
	bits      []byte
	etag      string
	expires   int64
	ttl       time.Duration
	goodUntil time.Time
}

// Reads the lists that tokens point to (draft-ietf-oauth-status-list-21), each again when its ttl is over.
func (v *Verifier) readLists() func(*Claims, string) error {
	var mutex sync.RWMutex
	lists := map[string]list{}
	get := func(uri string) (list, bool) {
		mutex.RLock()
		defer mutex.RUnlock()
		found := lists[uri]
		return found, found.goodUntil.After(time.Now())
	}

	load := shared(func(uri string) error {
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
	var said struct {
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
		err = json.Unmarshal(payload, &said)
	}
	now := time.Now().Unix()
	if err != nil || said.Sub != uri || said.Iat <= 0 || said.Iat > now+clockSkew || said.Exp <= now || said.TTL <= 0 || said.List.Bits != 1 {
		return list{}, fmt.Errorf("%s is no list that can be trusted: %v", uri, err)
	}
	compressed, err := base64.RawURLEncoding.DecodeString(said.List.Lst)
	if err != nil {
		return list{}, err
	}
	inflated, err := zlib.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return list{}, err
	}
	bits, err := io.ReadAll(io.LimitReader(inflated, largestList))
	return list{bits: bits, etag: response.Header.Get("ETag"), expires: said.Exp, ttl: time.Duration(said.TTL * float64(time.Second))}, err
}

// One attempt a key at a time. All who want it share its outcome, a failure too, until a moment after it.
func shared(attempt func(key string) error) func(key string) error {
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
