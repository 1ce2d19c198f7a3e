module postern.example/verifiers

go 1.19
