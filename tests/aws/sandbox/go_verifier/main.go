// Verifies chains with Go's crypto/x509. Standard input: a JSON list of chains; standard output: a JSON object of
// chain name to error, empty if all of them verify.
package main

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"time"
)

type chain struct {
	Name          string
	Leaf          string
	Intermediates string
	Root          string
	Time          int64
}

func verify(c chain) error {
	block, _ := pem.Decode([]byte(c.Leaf))
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(c.Root))
	intermediates.AppendCertsFromPEM([]byte(c.Intermediates))
	_, err = leaf.Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: intermediates,
		CurrentTime:   time.Unix(c.Time, 0),
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	return err
}

func main() {
	var chains []chain
	if err := json.NewDecoder(os.Stdin).Decode(&chains); err != nil {
		panic(err)
	}
	failures := map[string]string{}
	for _, c := range chains {
		if err := verify(c); err != nil {
			failures[c.Name] = err.Error()
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(failures); err != nil {
		panic(err)
	}
}
