{{ type('double') }}
