-- Rows of an evaluation that is about to be written anew, at the same as_of.
delete from {{ table | wml }}
where evaluation_id in (select due.evaluation_id from wml_due as due)
