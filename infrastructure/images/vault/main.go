// Vault's own command line, built from the published module so that a machine
// that reaches only package mirrors can have the real server.
package main

import (
	"os"

	"github.com/hashicorp/vault/command"
)

func main() {
	os.Exit(command.Run(os.Args[1:]))
}
