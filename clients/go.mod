module postern.example/clients

go 1.19
